import Configuration
import Host
import Logging
import UpdateCore

/// The file for the textfile collector of Prometheus's node_exporter (`metrics.file`). An error never hinders an update: it is
/// logged once.
final class MetricsFile {
    let path: String
    private let logger: Logger
    private let render: () -> String
    private var written: String?
    private var lastWrite = BootInstant(-.infinity)
    private var hasWarned = false
    private var timer: Timer?

    /// The shortest time between two writes: the collector does not read more often.
    static let interval: Seconds = 10

    init(_ path: String, _ logger: Logger, render: @escaping () -> String) {
        (self.path, self.logger, self.render) = (path, logger, render)
    }

    /// Writes what has changed, now or as soon as ``interval`` has passed.
    func update() {
        let left = lastWrite + Self.interval - Clock.bootTime
        guard left > 0 else { return write() }
        if timer == nil { timer = Timer { [weak self] in self?.write() } }
        timer?.schedule(after: left)
    }

    /// The next ``update()`` writes at once, and warns again if that is impossible.
    func begin() { (written, hasWarned, lastWrite) = (nil, false, BootInstant(-.infinity)) }

    /// Ends the writing.
    func end() { timer?.cancel() }

    private func write() {
        timer?.disarm()
        let text = render()
        guard text != written else { return }
        lastWrite = Clock.bootTime
        do throws(SystemError) {
            try Files.publish(path, Array(text.utf8))
            written = text
            if hasWarned { logger.notice("metrics.file can be written again") }
            hasWarned = false
        } catch {
            guard !hasWarned else { return }
            hasWarned = true
            logger.warning(
                "metrics.file cannot be written: \(error); let the user upgradelinkd write in \(Files.directory(of: path)), and this service too (ReadWritePaths=, systemctl edit upgradelinkd), or use /run/upgradelinkd-metrics"
            )
        }
    }
}

extension Agent {
    /// Brings the file up to date, after each event. Another file in a new configuration takes the place of the old one.
    func updateMetrics() {
        if metricsFile?.path != settings.metricsFile { replaceMetricsFile() }
        metricsFile?.update()
    }

    /// Begins with the configured file, and removes that of an earlier configuration, or of an earlier process.
    func replaceMetricsFile() {
        let record = MetricsRecord(directory: settings.stateDirectory)
        let earlier = [metricsFile?.path, record.replace(with: settings.metricsFile)].compactMap(\.self)
        metricsFile?.end()
        for path in Set(earlier) where path != settings.metricsFile {
            do throws(SystemError) {
                try MetricsRecord.remove(path)
            } catch {
                logger.warning("\(path) keeps the last metrics, because it cannot be removed: \(error); remove it")
            }
        }
        metricsFile = settings.metricsFile.map { path in
            MetricsFile(path, logger) { [weak self] in self?.metricsText() ?? "" }
        }
    }

    private func metricsText() -> String {
        metricSources.hasError = ownError != nil
        return metrics(state, context(), &metricSources).map(\.text).joined()
    }
}
