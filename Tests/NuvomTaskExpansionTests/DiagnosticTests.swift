#if Macros
  import SwiftParser
  import SwiftSyntax
  import SwiftSyntaxMacroExpansion
  import SwiftSyntaxMacros
  import Testing

  import NuvomTaskExpansion

  /// What the compiler says of functions that can be no tasks.
  struct DiagnosticTests {
    /// The messages, each after its column.
    private func diagnostics(_ source: String) -> [String] {
      let tree = Parser.parse(source: source)
      let context = BasicMacroExpansionContext(
        sourceFiles: [tree: .init(moduleName: "M", fullFilePath: "M/f.swift")])
      _ = tree.expand(macros: ["NuvomTask": TaskMacro.self]) { node in
        BasicMacroExpansionContext(sharingWith: context, lexicalContext: node.allMacroLexicalContexts())
      }
      return context.diagnostics.map {
        "\(context.location(for: $0.position, anchoredAt: $0.node, fileName: "").column): \($0.message)"
      }
    }

    @Test(
      "A function that can be no task is refused, and the reason is said where it is",
      arguments: [
        ("@NuvomTask struct S {}", "1: @NuvomTask is for functions"),
        (
          "struct S { @NuvomTask func f() {} }",
          "12: @NuvomTask is for global and static functions: a worker has no instance"
        ),
        (
          "class C { @NuvomTask class func f() {} }",
          "22: @NuvomTask is for global and static functions: make it static instead"
        ),
        ("protocol P { @NuvomTask static func f() }", "14: @NuvomTask is for functions with a body"),
        (
          "func g() { @NuvomTask func f() {} }",
          "12: @NuvomTask is for global and static functions: a worker cannot call"
        ),
        (
          "let g = { @NuvomTask func f() {} }",
          "11: @NuvomTask is for global and static functions: a worker cannot call"
        ),
        ("@NuvomTask func f<T: Codable>(_ t: T) {}", "18: @NuvomTask is for functions without generic parameters"),
        (
          "struct S<T> { enum E { @NuvomTask static func f() {} } }",
          "9: @NuvomTask is for functions outside of generic types"
        ),
        (
          "extension A where T == Int { @NuvomTask static func f() {} }",
          "13: @NuvomTask is for functions outside of generic"
        ),
        ("@NuvomTask func f(_ x: inout Int) {}", "19: x is inout"),
        ("@NuvomTask func f(_ x: Int...) {}", "27: x is variadic: take an array instead"),
        ("@NuvomTask func f(x: some Codable) {}", "22: x has an opaque type"),
        ("@NuvomTask func f(x: [some Codable]) {}", "22: x has an opaque type"),
        ("@NuvomTask func f(x: @escaping () -> Void) {}", "22: x is a function"),
        ("@NuvomTask func f() -> some Codable { 1 }", "24: the result has an opaque type"),
        ("@NuvomTask func f(to a: Int, to b: Int) {}", "30: two parameters have the label to"),
        ("@NuvomTask(name) func f() {}", "12: a task's name must be a string literal"),
        (#"@NuvomTask("a\(b)") func f() {}"#, "12: a task's name must be a string literal"),
        (#"@NuvomTask("") func f() {}"#, "12: a task's name has 1 to 255 bytes"),
        ("enum E { @NuvomTask static func + (a: E, b: E) {} }", "33: @NuvomTask is for functions with a name"),
      ])
    func refused(source: String, message: String) {
      let said = diagnostics(source)
      #expect(said.count == 1 && said.allSatisfy { $0.hasPrefix(message) }, "\(said)")
    }

    @Test("All that is wrong with parameters is said at once")
    func several() {
      #expect(diagnostics("@NuvomTask func f(a: inout Int, b: Int..., c: some Codable) {}").count == 3)
    }

    @Test("A function that can be a task is not complained about")
    func fine() {
      #expect(
        diagnostics("enum E { @NuvomTask(nil, retries: 1) static func f(_ a: Int = 1, b: sending [Int]) {} }").isEmpty)
    }
  }
#endif
