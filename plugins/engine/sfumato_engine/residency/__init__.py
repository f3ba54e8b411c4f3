"""Which weights lie on the device in which phase of a request, so that big models fit small machines."""
