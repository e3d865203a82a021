import NuvomModel
