"""The few characters burned into sample images: scales and side markers, never anything about a person."""

import numpy as np
import numpy.typing as npt

# Five columns by seven rows; # is ink.
GLYPHS = {
    "0": " ### /#   #/#  ##/# # #/##  #/#   #/ ### ",
    "1": "  #  / ##  /  #  /  #  /  #  /  #  / ### ",
    "2": " ### /#   #/    #/   # /  #  / #   /#####",
    "3": " ### /#   #/    #/  ## /    #/#   #/ ### ",
    "4": "   # /  ## / # # /#  # /#####/   # /   # ",
    "5": "#####/#    /#### /    #/    #/#   #/ ### ",
    "6": " ### /#    /#    /#### /#   #/#   #/ ### ",
    "7": "#####/    #/   # /  #  /  #  /  #  /  #  ",
    "8": " ### /#   #/#   #/ ### /#   #/#   #/ ### ",
    "9": " ### /#   #/#   #/ ####/    #/    #/ ### ",
    "+": "     /  #  /  #  /#####/  #  /  #  /     ",
    "-": "     /     /     /#####/     /     /     ",
    "/": "    #/    #/   # /  #  / #   /#    /#    ",
    ".": "     /     /     /     /     / ##  / ##  ",
    "b": "#    /#    /#### /#   #/#   #/#   #/#### ",
    "c": "     /     / ####/#    /#    /#    / ####",
    "m": "     /     /## # /# # #/# # #/# # #/# # #",
    "p": "     /#### /#   #/#   #/#### /#    /#    ",
    "s": "     /     / ####/#    / ### /    #/#### ",
    "z": "     /     /#####/   # /  #  / #   /#####",
    "F": "#####/#    /#    /#### /#    /#    /#    ",
    "H": "#   #/#   #/#   #/#####/#   #/#   #/#   #",
    "L": "#    /#    /#    /#    /#    /#    /#####",
    "M": "#   #/## ##/# # #/#   #/#   #/#   #/#   #",
    "R": "#### /#   #/#   #/#### /# #  /#  # /#   #",
    " ": "     /     /     /     /     /     /     ",
}


def lettering(text: str, scale: int = 1) -> npt.NDArray[np.bool_]:
    """The ink of a line of text: (7 * scale, 6 * scale * len(text)), true where there is ink."""
    rows = ["".join(GLYPHS[letter].split("/")[row] + " " for letter in text) for row in range(7)]
    ink = np.array([[spot == "#" for spot in row] for row in rows])
    return np.kron(ink, np.ones((scale, scale), np.bool_))
