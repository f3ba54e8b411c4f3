"""What a picture is made from where it does not start from noise alone: a picture, a mask."""
