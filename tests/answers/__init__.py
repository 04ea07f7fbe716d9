"""The same studies and the same questions put to two versions of the product: what differs in their answers?"""
