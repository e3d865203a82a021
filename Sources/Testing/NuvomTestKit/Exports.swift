// Who tests tasks has tasks and workers: one import for all of them.
@_exported public import NuvomWorker
