import Host
import TestSupport
import Testing

@testable import UpdateCore

/// The journal's catalog explains every MESSAGE_ID in the code, and no other.
@Suite struct CatalogTests {
    private var notices: [Notice] {
        let offer = World.offer(2)
        let reason = Reason("", .unknown)
        let installed = InstalledVersion.known(versionCode: 1, versionName: nil)
        return [
            .upToDate(installed), .offered(offer), .offerRefused(.rejected(versionCode: 2)),
            .misconfigured(reason, retryIn: 1), .failing(.network(""), retryIn: 1), .clockWrong(server: nil),
            .verified(offer, bytes: 1), .gone(offer, ""), .noKeys(offer), .consentWanted(offer), .installing(offer),
            .rebooting(offer), .committed(offer), .rolledBack(offer, reason),
            .attemptFailed(offer, reason, attempt: 1, of: 3, retryIn: 1), .blocked(offer, reason, attempts: 3),
        ]
    }

    @Test func everyMessageIDIsExplained() throws {
        let catalog = String(
            decoding: try Files.read("\(repositoryDirectory)/packaging/catalog/upgradelinkd.catalog", limit: 1 << 20),
            as: UTF8.self)
        let explained = catalog.matches(of: /(?m)^-- ([0-9a-f]{32})$/).map { String($0.1) }
        #expect(Set(explained).count == explained.count)
        #expect(Set(explained) == Set(notices.compactMap(\.messageID)))
        // The list above is complete: Notice.swift has no other id.
        let source = String(
            decoding: try Files.read("\(repositoryDirectory)/Sources/UpdateCore/Notice.swift", limit: 1 << 20),
            as: UTF8.self)
        #expect(Set(source.matches(of: /"([0-9a-f]{32})"/).map { String($0.1) }) == Set(explained))
    }
}
