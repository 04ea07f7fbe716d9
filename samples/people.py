"""The made-up people of the sample studies and their visits."""

from .objects import Person, Visit

THORAX = Person("Phantom^Thorax", "LB-0001", "19710304", "M", "1.74", "71")
CRANIUM = Person("Phantom^Cranium", "LB-0002", "19840917", "F", "1.68", "62")
CORDIS = Person("Phantom^Cordis", "LB-0003", "19590622", "F", "1.63", "66")

CT_TORSO = Visit(
    "ct-torso",
    THORAX,
    "20260914",
    "083012",
    "LBX2601401",
    "1401",
    "CT Chest and Abdomen with contrast",
    "Modell^Erika",
    "055Y",
)
CHEST_RADIOGRAPH = Visit(
    "chest-radiograph", THORAX, "20260911", "161540", "LBX2601377", "1377", "Chest PA", "Modell^Erika", "055Y"
)
MR_HEAD = Visit(
    "mr-head", CRANIUM, "20260702", "101855", "LBX2601120", "1120", "MR Brain T1 3D", "Beispiel^Bruno", "041Y"
)
CT_HEAD = Visit(
    "ct-head", CRANIUM, "20260630", "222704", "LBX2601098", "1098", "CT Head without contrast", "Ejemplo^Alba", "041Y"
)
ECHOCARDIOGRAM = Visit(
    "echocardiogram",
    CORDIS,
    "20260521",
    "141033",
    "LBX2600902",
    "0902",
    "Transthoracic echocardiogram",
    "Exemple^Camille",
    "066Y",
)
