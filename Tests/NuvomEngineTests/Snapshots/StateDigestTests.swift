import NuvomModel
import Testing

@testable import NuvomEngine

@Test(
  "A digest is the same number for the same story, and another when one byte differs"
)
func digestOfAStory() {
  func digest(of payload: String) -> UInt64 {
    let world = EngineWorld()
    world.enqueue(payload)
    return world.engine.digest()
  }
  #expect(digest(of: "a") == digest(of: "a"))
  #expect(digest(of: "a") != digest(of: "b"))
}
