#if Macros
  import SwiftDiagnostics
  internal import SwiftSyntax
  internal import SwiftSyntaxMacros

  /// Why a function can be no task.
  enum TaskDiagnostic: DiagnosticMessage {
    case noFunction
    case instanceFunction
    case overridable
    case requirement
    case local
    case generic
    case genericContext
    case operatorFunction
    case inOut(String)
    case variadic(String)
    case opaque(String)
    case function(String)
    case opaqueResult
    case sameLabel(String)
    case nameNoLiteral
    case nameLength
    case notInPlace(String)

    var message: String {
      switch self {
      case .noFunction: "@NuvomTask is for functions"
      case .instanceFunction:
        "@NuvomTask is for global and static functions: a worker has no instance to call this on; make it static"
      case .overridable: "@NuvomTask is for global and static functions: make it static instead of class"
      case .requirement:
        "@NuvomTask is for functions with a body: put it on the function that implements this requirement"
      case .local: "@NuvomTask is for global and static functions: a worker cannot call a function within another"
      case .generic:
        "@NuvomTask is for functions without generic parameters: a job's arguments must have types that a worker knows"
      case .genericContext:
        "@NuvomTask is for functions outside of generic types: a job's arguments must have types that a worker knows"
      case .operatorFunction: "@NuvomTask is for functions with a name"
      case .inOut(let name):
        "\(name) is inout: a job's arguments travel to a worker, and nothing comes back but the result"
      case .variadic(let name): "\(name) is variadic: take an array instead"
      case .opaque(let name):
        "\(name) has an opaque type: name the type, since a job's arguments must have types that a worker knows"
      case .function(let name): "\(name) is a function: a job's arguments must be Codable"
      case .opaqueResult: "the result has an opaque type: name it, since producers in other programs decode it"
      case .sameLabel(let label):
        "two parameters have the label \(label), under which a job's argument travels: rename one"
      case .nameNoLiteral:
        "a task's name must be a string literal, so that `nuvom discover` knows it without running the program"
      case .nameLength: "a task's name has 1 to 255 bytes"
      case .notInPlace(let label): "@NuvomTask takes no argument \(label)"
      }
    }

    var severity: DiagnosticSeverity { .error }

    var diagnosticID: MessageID {
      // The case's name, without what it carries.
      MessageID(domain: "NuvomTask", id: String("\(self)".prefix { $0 != "(" }))
    }
  }

  extension MacroExpansionContext {
    func say(_ diagnostic: TaskDiagnostic, at node: some SyntaxProtocol) {
      diagnose(Diagnostic(node: Syntax(node), message: diagnostic))
    }
  }
#endif
