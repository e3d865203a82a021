import Testing

extension ProgramTests {
  @Suite struct SimulateTests {
    @Test("Two processes with one seed come to one digest, which is the last line")
    func digest() throws {
      let workspace = try Workspace()
      let ended = try (0..<2).map { _ in try workspace.nuvom(["simulate", "--seed", "7", "--steps", "2000"]) }
      #expect(ended.allSatisfy { $0.status == 0 })
      let last = ended.map { $0.output.split(separator: "\n").last ?? "" }
      #expect(last[0].hasPrefix("digest ") && last[0].count == 23 && last[0] == last[1])
    }

    @Test("No seeds and no steps are refused")
    func refused() throws {
      let workspace = try Workspace()
      #expect(try workspace.nuvom(["simulate", "--seeds", "0"]).status == 64)
      #expect(try workspace.nuvom(["simulate", "--steps", "0"]).status == 64)
    }
  }
}
