"""Figure 1's statistics: how often each label was given, how labels go together, and clusters proposed from that."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from deepemotion.errors import UserError
from deepemotion.files import write_text
from deepemotion.labels.table import NONE


@dataclass(frozen=True)
class LabelStatistics:
    """Statistics of L labels given by O observers at N movie times."""

    labels: tuple[str, ...]
    frequency: NDArray[np.int64]
    """(L,) pairs of observer and movie time at which the label was given."""
    covariance: NDArray[np.float64]
    """(L, L) covariance over movie times of the shares of observers."""
    observers: int
    times: int

    @classmethod
    def of(cls, given: NDArray[np.bool_], labels: tuple[str, ...]) -> "LabelStatistics":
        """Compute them from `given` (O, N, L): whether observer o gave label l at movie time n.

        With p_l(n) = 1/O sum_o given[o, n, l], the share of observers behind label l at time n, and its mean over time
        m_l, the covariance is cov[k, l] = 1/N sum_n (p_k(n) - m_k) (p_l(n) - m_l): positive where two labels are given
        at the same movie times, by one observer or by different ones. The paper does not publish its formula.
        """
        observers, times, _ = given.shape
        counts = given.sum(axis=0)
        frequency = counts.sum(axis=0)
        # Subtracting whole numbers first makes the deviation of a constant share exactly 0.
        deviation = (times * counts - frequency) / (times * observers)
        return cls(labels, frequency, deviation.T @ deviation / times, observers, times)

    @property
    def correlation(self) -> NDArray[np.float64]:
        """(L, L) cov[k, l] / sqrt(cov[k, k] cov[l, l]); NaN for a label whose share never varies (never given)."""
        deviation = np.sqrt(np.diagonal(self.covariance))
        with np.errstate(invalid="ignore"):
            ratio: NDArray[np.float64] = self.covariance / np.outer(deviation, deviation)
        return np.clip(ratio, -1.0, 1.0)

    def propose_clusters(self, count: int) -> dict[str, list[str]]:
        """Propose at most `count` clusters of labels, each named by its most frequent label.

        Agglomerative clustering with complete linkage on the distance 1 - correlation, cut where `count` clusters are
        left. Complete linkage, since average linkage chains rare labels into one large cluster. Labels whose share
        never varies have no correlation and go under NONE. Raises UserError where fewer labels than clusters remain.
        """
        usable = np.flatnonzero(np.diagonal(self.covariance) > 0)
        if len(usable) < max(count, 2):
            raise UserError(
                f"only {len(usable)} labels were given, too few for {count} clusters; name a --clusters file"
            )
        distance = 1.0 - self.correlation[np.ix_(usable, usable)]
        condensed = squareform(distance, checks=False)
        cluster_of = fcluster(linkage(condensed, method="complete"), count, criterion="maxclust")
        clusters = {}
        for number in np.unique(cluster_of):
            members = usable[cluster_of == number]
            members = members[np.argsort(-self.frequency[members], kind="stable")]
            clusters[self.labels[members[0]]] = [self.labels[i] for i in members]
        left_out = sorted(set(self.labels) - {self.labels[i] for i in usable})
        return dict(sorted(clusters.items())) | {NONE: left_out}

    def write(self, folder: Path) -> None:
        """Write frequency.tsv, covariance.tsv and correlation.tsv into `folder`, each atomically."""
        order = np.argsort(-self.frequency, kind="stable")
        largest = max(1, self.frequency.max())
        lines = ["label\tgiven\trelative"]
        lines += [f"{self.labels[i]}\t{self.frequency[i]}\t{self.frequency[i] / largest:.4f}" for i in order]
        write_text(folder / "frequency.tsv", "\n".join(lines) + "\n")
        for name, matrix in (("covariance", self.covariance), ("correlation", self.correlation)):
            lines = ["\t".join(["label", *self.labels])]
            lines += [
                "\t".join([label, *(f"{value:.6g}" for value in row)])
                for label, row in zip(self.labels, matrix, strict=True)
            ]
            write_text(folder / f"{name}.tsv", "\n".join(lines) + "\n")


def compare_clusters(statistics: LabelStatistics, configured: dict[str, str], proposed: dict[str, str]) -> str:
    """Return a table, tab-separated, of the cluster of each label in two mappings from label to class."""
    order = np.argsort(-statistics.frequency, kind="stable")
    lines = ["label\tgiven\tconfigured\tproposed"]
    lines += [
        f"{label}\t{given}\t{configured[label]}\t{proposed[label]}"
        for label, given in ((statistics.labels[i], statistics.frequency[i]) for i in order)
    ]
    return "\n".join(lines) + "\n"
