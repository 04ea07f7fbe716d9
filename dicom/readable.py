"""Values of DICOM for people: names, dates and times."""


def person_name(value: str) -> str:
    """``Family, Given Middle`` of the first group of a person name that is filled (PS3.5 6.2.1.1)."""
    group = next((group for group in value.split("\\")[0].split("=") if group.strip("^ ")), "")
    family, _, rest = group.partition("^")
    given = " ".join(part.strip() for part in rest.split("^")[:2] if part.strip())
    return ", ".join(part for part in (family.strip(), given) if part)


def date(value: str) -> str:
    """``2024-01-31`` of a DA value; anything else as it is."""
    return f"{value[:4]}-{value[4:6]}-{value[6:]}" if len(value) == 8 and value.isdigit() else value


def time(value: str) -> str:
    """``14:05`` of a TM value; "" for anything else."""
    return f"{value[:2]}:{value[2:4]}" if value[:4].isdigit() and len(value) >= 4 else ""
