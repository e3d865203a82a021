import NuvomModel
import Testing

@testable import NuvomEngine

@Test(
  "A digest is the same number for the same story, in this process and in every other, and another when one byte differs"
)
func digestOfAStory() {
  func digest(of payload: String) -> UInt64 {
    let world = EngineWorld()
    world.enqueue(payload)
    return world.engine.digest()
  }
  #expect(digest(of: "a") == digest(of: "a"))
  #expect(digest(of: "a") != digest(of: "b"))
  // Written here, since a salt of the process would show in no other way. It changes when a job's record does.
  #expect(digest(of: "a") == 7_853_467_445_146_835_025)
}
