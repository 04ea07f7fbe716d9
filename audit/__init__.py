"""The access trail: who saw or did what (PS3.15 A.5). Imports no other room."""
