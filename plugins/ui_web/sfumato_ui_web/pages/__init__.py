"""The built-in pages; each module builds one."""
