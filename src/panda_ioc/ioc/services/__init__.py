"""Who owns which records and takes their puts."""
