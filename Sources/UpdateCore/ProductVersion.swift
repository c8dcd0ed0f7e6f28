/// The version of this software, as CHANGELOG.md names it.
public let productVersion = "0.2.0"
