"""ImageNet weights of torchvision and timm for our backbone, read without torch."""
