"""Makes the files that guests and the test rig boot from; see ../README.md."""
