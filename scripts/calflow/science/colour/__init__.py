"""Colour pictures of images in several filters."""
