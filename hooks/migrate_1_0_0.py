"""To 1.0.0: let nobody else read .env.

The hook does so in new projects; in those that were made without it everybody could read .env, and
with it the database's password. The file's content stays as it is.
"""

from pathlib import Path

dotenv = Path(".env")
if dotenv.is_file() and not dotenv.is_symlink() and dotenv.stat().st_mode & 0o077:
    try:
        dotenv.chmod(0o600)
        print("  .env: only you can read it now")
    except PermissionError:
        print("  .env: others can read it, and you may not change that")
