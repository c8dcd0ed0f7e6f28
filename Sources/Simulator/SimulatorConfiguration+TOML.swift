import FoundationEssentials
import TOMLKit

extension SimulatorConfiguration {
    /// What is wrong with a configuration, in one line.
    public struct Problem: Error, CustomStringConvertible, Sendable {
        public var description: String
    }

    /// Reads a configuration; a key that is not known is an error.
    public init(toml: String) throws(Problem) {
        do {
            var decoder = TOMLDecoder()
            decoder.strictDecoding = true
            self = try decoder.decode(Self.self, from: toml)
        } catch let error as TOMLParseError {
            throw Problem(description: "not TOML: \(error.debugDescription)")
        } catch let error as UnexpectedKeysError {
            let keys = error.keys.keys.sorted().joined(separator: ", ")
            throw Problem(description: "keys that are not known: \(keys)")
        } catch let error as DecodingError {
            throw Problem(description: Self.words(error))
        } catch {
            throw Problem(description: "\(error)")
        }
    }

    private static func words(_ error: DecodingError) -> String {
        switch error {
        case .keyNotFound(_, let context):
            // TOMLKit's path ends with the missing key itself.
            return "\(path(context.codingPath)) is missing"
        case .typeMismatch(let type, let context):
            return "\(path(context.codingPath)) is not of the type \(type)"
        case .valueNotFound(_, let context), .dataCorrupted(let context):
            return "\(path(context.codingPath)): \(context.debugDescription)"
        @unknown default:
            return "\(error)"
        }
    }

    private static func path(_ keys: [any CodingKey]) -> String {
        keys.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".").replacing(".[", with: "[")
    }
}
