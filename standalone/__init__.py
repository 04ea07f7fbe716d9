"""The launcher behind `./pacs`: it starts processes and imports no room of the product."""
