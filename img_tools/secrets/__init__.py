"""Secrets told by their own form: tokens of providers and private keys, in the files of an image.

`rules` says what they look like, `places` where they are looked for, `scan` reads every file once.
docs/secrets.md says why this is no library of others.
"""
