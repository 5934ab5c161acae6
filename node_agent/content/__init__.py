"""What this node holds of operators' contents: blobs on its disk, and what each sandbox is to be given of them."""
