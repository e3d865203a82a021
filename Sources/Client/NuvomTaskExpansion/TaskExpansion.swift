#if Macros
  internal import SwiftSyntax
  internal import SwiftSyntaxBuilder

  /// The declarations that `@NuvomTask` adds beside a function.
  struct TaskExpansion {
    let function: TaskFunction
    let options: TaskOptions

    var declarations: [DeclSyntax] { [inputType, taskType, task] }

    // MARK: Names

    private var inputName: String { "__NuvomInput_\(function.name)" }
    private var taskTypeName: String { "__NuvomTask_\(function.name)" }
    private var taskName: String { "\(function.name)Task" }
    private var output: String { function.result?.description ?? "NuvomTasks.NoValue" }
    private var access: String { function.access.isEmpty ? "" : function.access + " " }

    /// For members of the generated types: a private one could be seen nowhere else.
    private var memberAccess: String { function.access == "private" ? "fileprivate " : access }

    /// The parameters as other languages see them: those without a label, which travel by position, come first.
    private var wireOrder: [TaskFunction.Parameter] {
      function.parameters.filter { $0.label == nil } + function.parameters.filter { $0.label != nil }
    }

    // MARK: Types

    /// Within the task's type `Input` and `Output` are the protocol's; a user's types of these names have aliases in the input's type.
    private func isShadowed(_ type: TypeSyntax) -> Bool {
      type.tokens(viewMode: .sourceAccurate).contains { ["Input", "Output"].contains($0.text) }
    }

    private func typeInTask(_ index: Int) -> String {
      let type = function.parameters[index].type
      return isShadowed(type) ? "\(inputName).Argument\(index + 1)" : "\(type)"
    }

    private var outputInTask: String {
      if let result = function.result, isShadowed(result) { return "\(inputName).Result" }
      return output
    }

    private var aliases: [String] {
      var aliases = function.parameters.enumerated().filter { isShadowed($1.type) }.map { index, parameter in
        "\(memberAccess)typealias Argument\(index + 1) = \(parameter.type)"
      }
      if let result = function.result, isShadowed(result) {
        aliases.append("\(memberAccess)typealias Result = \(result)")
      }
      return aliases
    }

    // MARK: Parameter lists

    /// The function's parameters, to be declared again.
    private func parameterList(_ type: (Int) -> String, and more: [String] = []) -> String {
      let parameters = function.parameters.enumerated().map { index, parameter in
        let isBoth = parameter.label == parameter.plainName
        return (parameter.label ?? "_") + (isBoth ? "" : " \(parameter.name)") + ": \(type(index))"
          + (parameter.defaultValue.map { " = \($0)" } ?? "")
      }
      return (parameters + more).joined(separator: ", ")
    }

    /// An input made of parameters of the same names.
    private var inputOfParameters: String {
      let arguments = function.parameters.map { parameter in
        (parameter.label.map { "\($0): " } ?? "") + parameter.name
      }
      return "\(inputName)(\(arguments.joined(separator: ", ")))"
    }

    /// The function with its labels, which tells it from others of its name; converted, so that it may be called alike whether it is
    /// async, throws or belongs to an actor.
    private var converted: String {
      let labels = function.parameters.map { "\($0.label ?? "_"):" }.joined()
      let types = function.parameters.map { "\($0.writtenType)" }.joined(separator: ", ")
      return "(\(function.token)\(labels.isEmpty ? "" : "(\(labels))") as (\(types)) async throws -> "
        + "\(function.result?.description ?? "Swift.Void"))"
    }

    // MARK: Declarations

    private var inputType: DeclSyntax {
      let properties = function.parameters.map { "\(memberAccess)var \($0.name): \($0.type)" }
      let assignments = function.parameters.map { "self.\($0.name) = \($0.name)" }
      let encodings = wireOrder.map { parameter in
        parameter.label == nil
          ? "try nuvomArguments.positional(self.\(parameter.name))"
          : "try nuvomArguments.named(\"\(parameter.wireName)\", self.\(parameter.name))"
      }
      // A parameter without a label may be given by its name, too, unless that is another's label.
      let labels = Set(function.parameters.compactMap { $0.label == nil ? nil : $0.wireName })
      let decodings = wireOrder.enumerated().map { position, parameter in
        let name =
          parameter.label == nil && labels.contains(parameter.wireName) ? "nil" : "\"\(parameter.wireName)\""
        let defaultValue = parameter.defaultValue.map { ", default: \($0)" } ?? ""
        return "self.\(parameter.name) = try nuvomArguments.argument(\(name), at: \(position)\(defaultValue))"
      }
      let members = (aliases + properties).joined(separator: "\n")
      return """
        nonisolated \(raw: access)struct \(raw: inputName): NuvomTasks.TaskInput {
          \(raw: members)
          \(raw: memberAccess)init(\(raw: parameterList { "\(function.parameters[$0].type)" })) {
            \(raw: assignments.joined(separator: "\n"))
          }
          \(raw: memberAccess)init(from nuvomArguments: inout NuvomTasks.ArgumentDecoder) throws {
            \(raw: decodings.joined(separator: "\n"))
          }
          \(raw: memberAccess)func encode(to nuvomArguments: inout NuvomTasks.ArgumentEncoder) throws {
            \(raw: encodings.joined(separator: "\n"))
          }
        }
        """
    }

    private var taskType: DeclSyntax {
      let options = "options nuvomOptions: NuvomTasks.JobOptions = NuvomTasks.JobOptions()"
      let client = "on nuvomClient: NuvomTasks.NuvomClient? = nil"
      let returns = function.result == nil ? "" : " -> \(outputInTask)"
      return """
        nonisolated \(raw: access)struct \(raw: taskTypeName): NuvomTasks.FunctionTask {
          \(raw: memberAccess)typealias Input = \(raw: inputName)
          \(raw: memberAccess)typealias Output = \(raw: outputInTask)
          \(raw: memberAccess)let definition: NuvomTasks.TaskDefinition<\(raw: inputName), \(raw: outputInTask)>
          \(raw: function.result == nil ? "" : "@discardableResult")
          \(raw: memberAccess)func callAsFunction(\(raw: parameterList(typeInTask))) async throws\(raw: returns) {
            \(raw: function.result == nil ? "_ =" : "return") try await self.definition(\(raw: inputOfParameters))
          }
          @discardableResult
          \(raw: memberAccess)func delay(\(raw: parameterList(typeInTask, and: [options, client]))) async throws -> NuvomTasks.JobHandle<\(raw: outputInTask)> {
            try await self.definition.delay(\(raw: inputOfParameters), options: nuvomOptions, on: nuvomClient)
          }
          \(raw: memberAccess)func job(\(raw: parameterList(typeInTask, and: [options]))) throws -> NuvomTasks.Job {
            try self.definition.job(\(raw: inputOfParameters), options: nuvomOptions)
          }
          \(raw: scheduleFunctions)
          @used
          @section("nuvom_tasks")
          private static let record: @convention(c) (Swift.UnsafeMutableRawPointer) -> Swift.Void = { tasks in
            tasks.assumingMemoryBound(to: [any NuvomTasks.RunnableTask].self).pointee.append(\(raw: taskName))
          }
        }
        """
    }

    /// One for each way in which a schedule is due.
    private var scheduleFunctions: String {
      let ways = [
        (["at nuvomTime: some NuvomTasks.WallTime"], "at: nuvomTime"),
        (["in nuvomDelay: Swift.Duration"], "in: nuvomDelay"),
        (["every nuvomInterval: Swift.Duration"], "every: nuvomInterval"),
        (
          [
            "cron nuvomExpression: Swift.String", "timeZone nuvomZone: Swift.String = \"UTC\"",
            "gap nuvomGap: NuvomTasks.Schedule.GapPolicy = .shift",
            "fold nuvomFold: NuvomTasks.Schedule.FoldPolicy = .first",
          ], "cron: nuvomExpression, timeZone: nuvomZone, gap: nuvomGap, fold: nuvomFold"
        ),
      ]
      let common = [
        "named nuvomName: Swift.String? = nil",
        "options nuvomOptions: NuvomTasks.ScheduleOptions = NuvomTasks.ScheduleOptions()",
        "on nuvomClient: NuvomTasks.NuvomClient? = nil",
      ]
      return ways.map { parameters, arguments in
        """
        @discardableResult
        \(memberAccess)func schedule(\(parameterList(typeInTask, and: parameters + common))) async throws -> NuvomTasks.ScheduleHandle<\(outputInTask)> {
          try await self.definition.schedule(
            \(inputOfParameters), \(arguments), named: nuvomName, options: nuvomOptions, on: nuvomClient)
        }
        """
      }.joined(separator: "\n")
    }

    private var task: DeclSyntax {
      let arguments = function.parameters.map { "nuvomInput.\($0.name)" }.joined(separator: ", ")
      let call = "try await \(converted)(\(arguments))"
      let body = function.result == nil ? "\(call); return NuvomTasks.NoValue()" : call
      return """
        nonisolated \(raw: access)\(raw: function.isStatic ? "static " : "")let \(raw: taskName) = \(raw: taskTypeName)(
          definition: NuvomTasks.TaskDefinition<\(raw: inputName), \(raw: output)>(
            \(raw: options.name), NuvomTasks.TaskPolicy(\(raw: options.policy)), hooks: NuvomTasks.TaskHooks(\(raw: options.hooks)),
            handler: { nuvomInput in \(raw: body) }))
        """
    }
  }
#endif
