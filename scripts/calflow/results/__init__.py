"""What has been made, as headers and tables of the products say: no pixels are read, and nothing is computed."""
