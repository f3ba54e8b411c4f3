"""Memory of Sfumato told: what a request will take, what it took, and whether that has grown"""
