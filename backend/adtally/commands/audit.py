"""``adtally audit``: everything verified from the public log and the chain, shown as a table."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from adtally.audit.audit import AuditExtras, Claim, run_audit
from adtally.audit.deployment import AuditDeployment
from adtally.audit.report import AuditReport
from adtally.chain.compile import Artifact, compile_contracts
from adtally.chain.connection import Chain
from adtally.chain.deployment import Deployment
from adtally.chain.deployment_check import compare_with_chain
from adtally.chain.files import write_atomically
from adtally.chain.finality import INSTANT, Finality, FinalityKind
from adtally.chain.node_tools import find_project_root
from adtally.client.chain_cache import RecordedChain
from adtally.client.fields import Fields
from adtally.client.file_log import FileLog, open_pages
from adtally.client.log_cache import CachedFiles, StateFolder, default_cache, forget
from adtally.client.log_files import FolderFiles, LogFiles, find_files
from adtally.client.read_auth import ReadAuth
from adtally.client.service_facts import ServiceFacts
from adtally.columns.hashing import Hashing, checked
from adtally.commands.audit_inputs import read_copies, read_receipts
from adtally.commands.audit_page import Tokens, audit_page
from adtally.commands.audit_progress import AuditProgress
from adtally.commands.audit_table import show_deployment, show_report
from adtally.commands.private_keys import read_key
from adtally.errors import AdtallyError, InvalidInput
from adtally.kernel.sha256 import leaf_hashes, node_hashes


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """Where to look, and what to compare with.

    Attributes:
        log: address of a service or of a log's files, or a folder of them.
        deployment: a trusted deployment file; None takes the log's own, and checks it on chain.
        note_verifier: the trusted checkpoint key; None believes the log about it.
        confirmations: blocks until a block is final; None believes the deployment.
        cache: where downloads and states are kept; None is a folder in the user's cache.
        from_scratch: forget what earlier audits left.
        receipts, compare: files and addresses to hold the log against.
        key_file: key that reads a log that is not public; None reads as anybody.
        member: whose event key that is; 0 for an attestor's key.
    """

    log: str
    rpc_url: str
    deployment: Path | None = None
    note_verifier: str | None = None
    confirmations: int | None = None
    json_file: Path | None = None
    html_file: Path | None = None
    cache: Path | None = None
    from_scratch: bool = False
    receipts: tuple[Path, ...] = ()
    compare: tuple[str, ...] = ()
    key_file: Path | None = None
    member: int = 0


async def audit(options: AuditOptions, console: Console) -> bool:
    """Run the audit, show it, write it; returns whether everything agreed.

    Raises:
        AdtallyError: it could not be done: the log or the chain is not there, or another one.
    """
    # Before the log is asked: whoever saw more than it is served was lied to less.
    receipts = read_receipts(options.receipts)
    files = await open_files(options)
    site = _Site(options, files)
    try:
        document = await site.public.deployment()
        verifier = options.note_verifier or Fields(document, "deployment").text("note_verifier")
        copies = await read_copies(options.compare, verifier)
        deployment, claims = await site.deployment(document, verifier)
        trusted = AuditDeployment.from_json(deployment.to_json() | {"note_verifier": verifier})
        show_deployment(deployment, options.deployment, console)
        log, chain, extras = site.open(
            trusted, AuditExtras(receipts=receipts, copies=copies, claims=claims)
        )
        with AuditProgress(console) as progress:
            report = await run_audit(log, chain, trusted, progress, extras)
        report = site.finish(report)
    finally:
        await site.close()
    tokens = {f"0x{each.address.hex()}": (name, each) for name, each in deployment.tokens.items()}
    _write(report, options, tokens)
    show_report(report, console)
    return report.ok


async def open_files(options: AuditOptions) -> LogFiles:
    """The log's files; with a grant where a key is given.

    Raises:
        AdtallyError: there is no log, or it does not answer; NotFound or InvalidInput for the key.
    """
    files = await find_files(options.log)
    if options.key_file is None:
        return files
    try:
        facts = ServiceFacts.from_json(await FileLog(files).deployment())
        auth = ReadAuth(facts.domain, read_key(options.key_file), options.member)
    finally:
        await files.close()
    return await find_files(options.log, auth=auth)


class _Site:
    """The sources of one audit, and what is kept of them."""

    def __init__(self, options: AuditOptions, files: LogFiles) -> None:
        self._options = options
        self._files = files
        self.public = FileLog(files, open_pages(files))
        self._chain: Chain | None = None
        self._record: RecordedChain | None = None
        self._cached: FileLog | None = None
        self._remarks: list[str] = []

    async def deployment(
        self, document: object, verifier: str
    ) -> tuple[Deployment, tuple[Claim, ...]]:
        """The deployment to audit by, and how the log's document compares with it."""
        options = self._options
        claims: list[Claim] = []
        if options.deployment is not None:
            deployment = Deployment.load(options.deployment)
            claims += _differences(deployment.to_json() | {"note_verifier": verifier}, document)
        else:
            deployment = Deployment.from_json(document)
        self._chain = Chain(options.rpc_url, self._finality(deployment))
        await self._chain.require_identity(deployment.identity)
        artifacts = await asyncio.to_thread(self._artifacts)
        compared = await compare_with_chain(deployment, self._chain, artifacts)
        claims += [Claim(each.what, each.where, each.expected, each.found) for each in compared]
        return deployment, tuple(claims)

    def _finality(self, deployment: Deployment) -> Finality:
        if self._options.confirmations is not None:
            count = self._options.confirmations
            return Finality(FinalityKind.CONFIRMATIONS, count) if count else INSTANT
        finality = deployment.finality
        if finality.kind is FinalityKind.DUMPED and not (finality.marker or Path()).exists():
            self._remarks.append(
                "the newest block is taken as final: the local chain's own mark is not on this "
                "machine"
            )
            return INSTANT
        return finality

    def _artifacts(self) -> Mapping[str, Artifact] | None:
        try:
            return compile_contracts(find_project_root())
        except (AdtallyError, OSError) as error:
            self._remarks.append(f"code on chain was not compared with sources: {error}")
            return None

    def open(
        self, deployment: AuditDeployment, extras: AuditExtras
    ) -> tuple[FileLog, RecordedChain, AuditExtras]:
        """Log and chain with what earlier audits kept of them."""
        assert self._chain is not None
        folder = self._options.cache or default_cache(deployment.name, deployment.log_origin)
        if self._options.from_scratch:
            forget(folder)
        files: LogFiles = self._files
        if not isinstance(files, FolderFiles):
            files = CachedFiles(files, folder / "files", self._remarks.append)
        self._cached = FileLog(files, open_pages(self._files))
        self._cached.verifier = deployment.note_verifier
        self._record = RecordedChain(self._chain, folder / "chain" / "record", self._remarks.append)
        memory = StateFolder(folder / "states")
        return (
            self._cached,
            self._record,
            AuditExtras(
                memory=memory,
                hashing=checked(Hashing(leaf_hashes, node_hashes)),
                served=self.public,
                files=files if isinstance(files, FolderFiles) else None,
                receipts=extras.receipts,
                copies=extras.copies,
                claims=extras.claims,
            ),
        )

    def finish(self, report: AuditReport) -> AuditReport:
        """Keep what the node said; add what happened on the way."""
        if self._record is not None and report.pinned is not None:
            self._record.save(report.pinned)
        return report.with_remarks(self._remarks)

    async def close(self) -> None:
        for log in (self._cached, self.public):
            if log is not None:
                await log.close()
        if self._chain is not None:
            await self._chain.close()


def _differences(trusted: Mapping[str, object], document: object) -> list[Claim]:
    """The log's document, field by field, against a trusted file."""
    if not isinstance(document, Mapping):
        raise InvalidInput(
            "the log's deployment is no JSON object", field="deployment", expected="an object"
        )
    # Where the local chain's mark lies is each machine's own business.
    names = sorted((set(trusted) | set(document)) - {"finality"})
    where = "deployment document"
    return [Claim(name, where, trusted.get(name), document.get(name)) for name in names]


def _write(report: AuditReport, options: AuditOptions, tokens: Tokens) -> None:
    document = report.to_json()
    if options.json_file is not None:
        write_atomically(options.json_file, json.dumps(document, indent=2).encode())
    if options.html_file is not None:
        page = audit_page(report, _subject(options), tokens)
        write_atomically(options.html_file, page.encode())


def _subject(options: AuditOptions) -> Sequence[tuple[str, str]]:
    return (("Log", options.log), ("Chain", options.rpc_url))
