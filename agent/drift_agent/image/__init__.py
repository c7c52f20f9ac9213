"""What an image is: policy, hashing, scan, manifest, bake."""
