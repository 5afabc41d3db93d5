"""What an audit's checks and verdict codes mean, for people who don't read specifications."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Meaning:
    """What it means when a check does not hold, and what to do then."""

    means: str
    to_do: str


_ASK_OPERATOR = "Ask the operator to explain, and keep this report with the files it was made from."

MEANINGS = {
    "deployment": Meaning(
        "The document that says which contracts and keys belong to this log is not true.",
        "Do not rely on anything below. Get the deployment file from another party and audit again "
        "with it.",
    ),
    "chain": Meaning(
        "The node gave records of the chain that contradict each other.",
        "Repeat the audit with another node. If it stays, the node's software or data is damaged.",
    ),
    "checkpoint": Meaning(
        "The list of events shown to this audit is not the one that the operator has signed for.",
        "Repeat it. If it stays, the operator serves altered data: its signature proves that. "
        "Tell the attestors.",
    ),
    "entries": Meaning(
        "A part of the list of events could not be had, or came damaged.",
        "Repeat the audit. If it stays, the operator withholds data: ask an attestor for its copy.",
    ),
    "anchors": Meaning(
        "The events shown are not those that were fixed on the chain earlier.",
        "The history has been rewritten. Do not rely on this log's figures; tell the attestors.",
    ),
    "replay": Meaning(
        "An event was judged, signed or ordered otherwise than the published rules demand.",
        "Everything after that place is unproven. " + _ASK_OPERATOR,
    ),
    "corrections": Meaning("A correction breaks its rules.", _ASK_OPERATOR),
    "history": Meaning(
        "Something that an earlier audit saw has been changed since, or hidden.",
        "Keep the earlier audit's cache: its signed checkpoint is evidence. Tell the attestors. "
        "After a new local chain on the same machine, use --from-scratch.",
    ),
    "facts": Meaning(
        "The log says otherwise about members, campaigns or deposits than the chain does.",
        "Events may have been judged by a false state of the world. " + _ASK_OPERATOR,
    ),
    "facts_lag": Meaning(
        "Events were judged while a change on the chain was left out for longer than allowed.",
        "Look at the events between that change and the named place: some may have been refused or "
        "accepted wrongly. " + _ASK_OPERATOR,
    ),
    "statements": Meaning(
        "A statement on the chain does not say what the events add up to.",
        "If it is not active yet, the advertiser should object at once. Else ask the attestors "
        "whose signatures it carries.",
    ),
    "lines": Meaning(
        "What was published for publishers to claim with is not what the statement holds.",
        "The money on the chain is not affected, but publishers may be unable to claim: ask an "
        "attestor for the lines.",
    ),
    "published": Meaning(
        "A file of the published copy was damaged or changed.",
        "Copy the log again, from the operator or from an attestor, and audit that. The log itself "
        "is as checked elsewhere on this page.",
    ),
    "funding": Meaning(
        "A deposit was booked wrongly.", "Compare the contract's code with its source."
    ),
    "claims": Meaning(
        "A publisher was paid another amount than it earned, or at another address.",
        "Tell the publisher named. " + _ASK_OPERATOR,
    ),
    "cuts": Meaning("An intermediary was paid another share than was agreed.", _ASK_OPERATOR),
    "refunds": Meaning(
        "The advertiser was paid back too much, too early or elsewhere.", _ASK_OPERATOR
    ),
    "objections": Meaning("An objection or its bond was treated wrongly.", _ASK_OPERATOR),
    "balances": Meaning(
        "The escrow holds less than it owes.",
        "Somebody can't be paid. Compare the contract's code with its source before anything else.",
    ),
    "copies": Meaning(
        "Others were shown another log than this audit was.",
        "Exchange the signed checkpoints with them: two that contradict each other prove it.",
    ),
    "receipts": Meaning(
        "A promise that the operator signed was not kept.",
        "Keep the receipt. Where the operator has posted a bond, the breach can be proven to the "
        "contract, which pays the finder.",
    ),
}
"""By the name of the check."""
