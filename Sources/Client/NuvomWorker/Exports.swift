// Who has a worker has tasks: one import for both.
@_exported public import NuvomTasks
