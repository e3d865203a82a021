// Who has tasks has jobs, ids and errors: one import for all of them.
@_exported public import NuvomClient
