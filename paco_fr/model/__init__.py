"""The method. Read ``paco`` first: hide, believe, replace, encode, decode, learn."""
