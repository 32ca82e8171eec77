"""Whole stories: real parts of the program, stand-ins of the world."""
