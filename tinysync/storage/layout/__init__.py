"""Changes a YAML text where a value changed, and leaves comments and layout as they are.

The text is patched at the places that the parser's marks tell, instead of being written anew by a library that
keeps comments: what was not changed stays as it was typed, to the byte. Whether the result says exactly what it is
to say is checked by reading it, before it is written.
"""
