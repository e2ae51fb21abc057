"""Does any add-on, in any language, speak the partner API correctly?"""
