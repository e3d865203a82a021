import CLinkedTasks

/// The tasks that `@NuvomTask` made of functions, in this program and in all libraries that are linked into it: nobody registers them.
///
/// Each expansion leaves the address of a function in a section of the executable, which the linker joins; this calls them. Tasks of a library that is
/// loaded at run time (SwiftPM's `.dynamic`) are not among them: pass those to the worker.
///
/// - Returns: the tasks by name; two of one name are both among them.
public func linkedTasks() -> [any RunnableTask] {
  guard var record = nuvom_tasks_begin(), let end = nuvom_tasks_end() else { return [] }
  var tasks: [any RunnableTask] = []
  withUnsafeMutablePointer(to: &tasks) { tasks in
    while record < end {
      record.pointee(tasks)
      record += 1
    }
  }
  return tasks.sorted { $0.name < $1.name }
}
