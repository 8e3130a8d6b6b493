#!/usr/bin/python3
"""Verifies a Vestige data directory, or one proof, independently of the server: written from docs/formats alone.

  vestige_verify.py DATA [--vault DIR] [--signer DIR] [--root-key FILE | --root-key-env NAME | --no-keys]
                         [--vkey KEY] [--stream NAME] [--json]
  vestige_verify.py --certificate FILE --vkey KEY [--json]
  vestige_verify.py --disclosure FILE --vkey KEY [--json]
  vestige_verify.py [DATA [--vault DIR] [--signer DIR] [--root-key FILE | --root-key-env NAME]] --coverage FILE --vkey KEY [--json]
  vestige_verify.py --export FILE [--vkey KEY] [--json]
  vestige_verify.py --proof FILE --entry FILE --vkey KEY [--json]

Exit status: 0 all is well, 1 something is wrong, 2 the command line is. docs/operating/verify.md explains the
verdicts. Needs Python 3.11 with the packages cryptography and zstandard; writes nothing.
"""
import sys

sys.dont_write_bytecode = True

from vestige_verify.command import main  # noqa: E402 (the package beside this file)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], __doc__))
