"""The pure parts of scripts/contracts: what it reads out of tools' reports, and what it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scripts import figures
from scripts.contracts import coverage, forge, mutants, static, symbolic, table
from scripts.contracts.campaign import Outcomes, Summary, mutation_part, summarize
from scripts.contracts.tools import ToolFailed

ROOT = Path(__file__).resolve().parents[3]


def forge_report(**tests: dict[str, Any]) -> str:
    """What ``forge test --json`` prints of one suite."""
    base = {"status": "Success", "reason": None, "decoded_logs": [], "kind": {"Unit": {"gas": 1}}}
    results = {name: base | test for name, test in tests.items()}
    return json.dumps({"tests/contracts/a/A.t.sol:ATest": {"test_results": results}})


# ---------------------------------------------------------------- forge


def test_gas_part__every_figure_logged__all_are_figures() -> None:
    logs = [f"{name}: {80_000 + at}" for at, name in enumerate(forge.GAS_NAMES)]
    part = forge.gas_part(forge.parse_outcomes(forge_report(test_G={"decoded_logs": logs})))
    assert part.problems == []
    assert part.figures["gas.anchor_1m_3sig"].value == 80_000
    assert len(part.figures) == len(forge.GAS_NAMES)


def test_gas_part__one_missing_and_one_twice__are_problems() -> None:
    logs = [f"{name}: 1" for name in forge.GAS_NAMES if name != "settle"]
    part = forge.gas_part(
        forge.parse_outcomes(forge_report(test_G={"decoded_logs": [*logs, "fund: 2", "noise"]}))
    )
    assert part.problems == ["gas.fund is logged twice: 1 and 2", "gas.settle is not logged"]


def test_depth_part__a_broken_invariant__is_counted_and_a_problem() -> None:
    part = forge.depth_part(
        forge.parse_outcomes(
            forge_report(
                testFuzz_A={"kind": {"Fuzz": {"runs": 10_000}}},
                testFuzz_B={"kind": {"Fuzz": {"runs": 9_000}}},
                invariant_01={"kind": {"Invariant": {"runs": 500, "calls": 100_000}}},
                invariant_02={
                    "kind": {"Invariant": {"runs": 3, "calls": 600}},
                    "status": "Failure",
                    "reason": "insolvent",
                },
            )
        )
    )
    values = {name: figure.value for name, figure in part.figures.items()}
    assert values["fuzz.runs"] == 9_000
    assert (values["invariants.runs"], values["invariants.calls"]) == (3, 600)
    assert (values["invariants.violations"], values["tests.failed"]) == (1, 1)
    assert part.problems == ["test fails: ATest.invariant_02: insolvent"]


def test_depth_part__no_fuzz_test__is_a_problem() -> None:
    part = forge.depth_part(forge.parse_outcomes(forge_report(test_A={})))
    assert part.problems == ["there is no fuzz test", "there is no invariant test"]


@pytest.mark.parametrize("text", ["", "Compiler run failed", "[]", '{"a:B": {}}', '{"a:B": 1}'])
def test_parse_outcomes__no_report__says_so(text: str) -> None:
    with pytest.raises(ToolFailed, match="no test results"):
        forge.parse_outcomes(text)


def test_size_figures__abstract_contract__has_no_size(tmp_path: Path) -> None:
    for name, code in (("Real", "0x6001"), ("Abstract", "0x")):
        (tmp_path / "contracts").mkdir(exist_ok=True)
        (tmp_path / "contracts" / f"{name}.sol").write_text("")
        artifact = tmp_path / "out" / f"{name}.sol" / f"{name}.json"
        artifact.parent.mkdir(parents=True)
        artifact.write_text(json.dumps({"deployedBytecode": {"object": code}}))
    found = forge.size_figures(tmp_path / "out", tmp_path / "contracts")
    assert {name: figure.value for name, figure in found.items()} == {"size.Real_bytes": 2}


# ---------------------------------------------------------------- coverage

LCOV = """TN:
SF:contracts/A.sol
DA:3,1
DA:4,0
BRDA:3,0,0,5
BRDA:3,0,1,-
BRDA:4,1,0,0
end_of_record
SF:contracts/mocks/M.sol
DA:1,0
BRDA:1,0,0,0
end_of_record
SF:tests/contracts/T.sol
BRDA:1,0,0,0
end_of_record
"""


def test_parse_lcov__mocks_and_tests__are_left_out() -> None:
    found = coverage.parse_lcov(LCOV)
    assert (found.branches_hit, found.branches_found) == (1, 3)
    assert (found.lines_hit, found.lines_found) == (1, 2)
    assert found.missed_branches == [
        "contracts/A.sol:3 block 0 path 1",
        "contracts/A.sol:4 block 1 path 0",
    ]
    assert found.missed_lines == ["contracts/A.sol:4"]


def test_coverage_part__below_the_goal__is_a_problem() -> None:
    part = coverage.coverage_part(coverage.parse_lcov(LCOV), "how")
    assert part.figures["coverage.branches"].value == 33.33
    assert part.problems == ["branch coverage is 33.33 %, the goal is 98 %"]
    assert len(part.details["missed_branches"]) == 2


def test_coverage_part__nothing_found__is_no_full_coverage() -> None:
    part = coverage.coverage_part(coverage.parse_lcov(""), "how")
    assert part.figures["coverage.branches"].value == 0
    assert part.problems


# ---------------------------------------------------------------- static and symbolic


def slither_report(*places: tuple[str, str, int]) -> dict[str, Any]:
    return {
        "success": True,
        "results": {
            "detectors": [
                {
                    "check": detector,
                    "impact": "Low",
                    "description": "found\n\tthis",
                    "elements": [{"source_mapping": {"filename_relative": file, "lines": [line]}}],
                }
                for detector, file, line in places
            ]
        },
    }


def test_unexplained__exclusions__hold_for_their_path_only() -> None:
    findings = static.parse_findings(
        slither_report(
            ("shadowing-local", "contracts/interfaces/I.sol", 3),
            ("shadowing-local", "contracts/A.sol", 2),
            ("assembly", "hardhat-local/node_modules/x.sol", 1),
        )
    )
    exclusions = static.parse_exclusions(
        """
        [[excluded]]
        detector = "shadowing-local"
        path = "contracts/interfaces/"
        reason = "why"
        """
    )
    part = static.static_part(findings, exclusions)
    assert part.figures["slither.unexplained"].value == 1
    assert part.problems == ["slither: contracts/A.sol:2: shadowing-local: found this"]


def test_unexplained__exclusion_with_a_text__wants_all_of_it() -> None:
    findings = static.parse_findings(slither_report(("pragma", "contracts/A.sol", 1)))
    for text, left in (("found this", 0), ("found .*", 0), ("found", 1), ("this", 1)):
        exclusion = static.Exclusion("pragma", "contracts/", text, "why")
        assert len(static.unexplained(findings, [exclusion])) == left


def test_parse_findings__analysis_failed__says_so() -> None:
    with pytest.raises(ToolFailed, match="no compiler"):
        static.parse_findings({"success": False, "error": "no compiler"})


def test_parse_exclusions__without_reason__is_refused() -> None:
    with pytest.raises(ToolFailed, match="without a reason"):
        static.parse_exclusions('[[excluded]]\ndetector = "timestamp"')


def test_slither_toml__as_committed__is_read() -> None:
    assert static.parse_exclusions(static.CONFIGURATION.read_text())


def test_symbolic_part__refuted_or_cut_off__is_not_proved() -> None:
    part = symbolic.symbolic_part(
        {
            "test_results": {
                "t.sol:Line": [
                    {"name": "check_A(uint8)", "exitcode": 0, "num_bounded_loops": 0},
                    {"name": "check_B()", "exitcode": 0, "num_bounded_loops": 1},
                    {"name": "check_C()", "exitcode": 2, "num_bounded_loops": 0},
                ]
            }
        }
    )
    assert part.details["symbolic_proved"] == ["Line.check_A"]
    assert part.figures["symbolic.failed"].value == 2
    assert part.problems == ["not proved: Line.check_B", "not proved: Line.check_C"]


def test_symbolic_part__no_checks__is_a_problem() -> None:
    assert symbolic.symbolic_part({"test_results": {}}).problems


# ---------------------------------------------------------------- mutants

SOURCE = b"""contract A {
    // a
    function f() external {
        if (x < y) revert("//");
    }
}
"""


def change(old: str, new: str, file: str = "contracts/A.sol") -> dict[str, Any]:
    start = SOURCE.index(old.encode())
    end = start + len(old)
    return {"file": file, "start": start, "end": end, "text": new, "mutator": "ROR"}


def read(*changes: dict[str, Any]) -> list[mutants.Mutant]:
    return mutants.read_mutants(changes, {"contracts/A.sol": SOURCE})


def test_bare__comments_and_spaces__go_but_strings_stay() -> None:
    assert mutants.bare('a /* b\n */ = "//c";// d\ne') == 'a="//c";e'


def test_bare__unsigned__positive_is_not_zero() -> None:
    assert mutants.bare("uint8 a > 0 && b <= 0") == "uint8a!=0&&b==0"
    assert mutants.bare("int8 a > 0 && b <= 0") == "int8a>0&&b<=0"
    for other in ("a>0x1", "a>=0", "a>>0", "a<0", "a<=00", "a<<=0"):
        assert mutants.bare(other) == other


def test_bare__ways_to_write_the_same__are_one() -> None:
    assert mutants.bare("uint8 immutable A;") == mutants.bare("uint8 constant A;")
    for one, other in (
        ("for (uint256 i = 0; i < n; ++i) {", "for (uint256 i; i < n; i++) {"),
        ("while (a) ++next;", "while (a) next++;"),
    ):
        assert mutants.bare(one) == mutants.bare(other)
    for one, other in (("f(++i);", "f(i++);"), ("a = ++i;", "a = i++;"), ("i = 0;", "i;")):
        assert mutants.bare(one) != mutants.bare(other)


def test_read_mutants__no_change_and_repeats__are_left_out() -> None:
    found = read(
        change("x < y", "x  <  y"), change("<", "<="), change("x < y", "x <= y"), change("// a", "")
    )
    assert [mutant.text for mutant in found] == ["<="]


def test_read_mutants__any_order__comes_out_the_same() -> None:
    changes = [change("<", operator) for operator in (">", "<=", ">=", "==", "!=")]
    assert read(*changes) == read(*reversed(changes))


def test_code_key__edited_comment__keeps_the_key() -> None:
    edited = SOURCE.replace(b"// a", b"// quite another\n    // comment")
    key = mutants.code_key("contracts/A.sol", SOURCE)
    assert mutants.code_key("contracts/A.sol", edited) == key
    assert mutants.code_key("contracts/B.sol", SOURCE) != key


def test_diff__one_mutant__shows_its_line() -> None:
    (mutant,) = read(change("<", ">="))
    assert mutants.line_of(SOURCE, mutant) == 4
    assert mutants.diff(SOURCE, mutant).splitlines()[-2:] == [
        '-        if (x < y) revert("//");',
        '+        if (x >= y) revert("//");',
    ]


def test_reason_for__accepted_survivor__is_found_by_its_lines() -> None:
    (mutant,) = read(change("<", ">="))
    accepted = mutants.parse_accepted(
        """
        [[accepted]]
        file = "contracts/A.sol"
        line = 'if (x < y) revert("//");'
        mutated = 'if (x >= y) revert("//");'
        reason = "because"
        """
    )
    assert mutants.reason_for(SOURCE, mutant, accepted) == "because"
    assert mutants.reason_for(SOURCE, mutant, []) == ""


def test_parse_accepted__without_reason__is_refused() -> None:
    with pytest.raises(ValueError, match=r"survivors\.toml"):
        mutants.parse_accepted('[[accepted]]\nfile = "a"\nline = "b"\nmutated = "c"\nreason = " "')


def test_survivors_toml__as_committed__is_read() -> None:
    mutants.parse_accepted((ROOT / "scripts" / "contracts" / "survivors.toml").read_text())


def test_summarize__every_verdict__is_counted() -> None:
    found = read(*(change("<", operator) for operator in (">", "<=", ">=", "==", "!=")))
    verdicts = ("caught", "survived", "equivalent", "broken")
    known = {mutant.key: verdict for mutant, verdict in zip(found, verdicts, strict=False)}
    summary = summarize(found, known, {"contracts/A.sol": SOURCE}, [])
    assert (summary.total, summary.caught, summary.untested) == (2, 1, 1)
    assert (summary.equivalent, summary.broken, summary.percent()) == (1, 1, 50.0)
    assert [(one["line"], one["reason"]) for one in summary.survivors] == [(4, "")]


def test_outcomes__tree_changed__only_survivors_are_tried_again(tmp_path: Path) -> None:
    one, two = read(change("<", ">"), change("<", ">="))
    path = tmp_path / "outcomes.jsonl"
    before = Outcomes(path, "tree 1")
    before.add(one, "caught")
    before.add(two, "survived")
    assert Outcomes(path, "tree 1").known == {one.key: "caught", two.key: "survived"}
    assert Outcomes(path, "tree 2").known == {one.key: "caught"}


def test_mutation_part__unfinished__says_so() -> None:
    saved = Summary(10, 9, 1, 2, 5, [{}]).to_json() | {"commit": "0123456789abcdef"}
    part = mutation_part(saved)
    assert part.figures["mutants.caught"].value == 9
    assert part.figures["mutants.untested"].value == 5


# ---------------------------------------------------------------- report and table


def test_report_json__two_parts__are_one_report() -> None:
    one = figures.Part({"b.x": figures.Figure(1, "gas", "how")}, {"missed": []}, ["bad"])
    other = figures.Part({"a.y": figures.Figure(2.5, "%", "how")}, {}, [])
    report = figures.report_json([one, other], "c0ffee")
    assert list(report["figures"]) == ["a.y", "b.x"]
    assert report["figures"]["b.x"] == {"value": 1, "unit": "gas", "how": "how"}
    assert (report["commit"], report["problems"], report["missed"]) == ("c0ffee", ["bad"], [])


def test_render__further_gas_figure__gets_a_row() -> None:
    found = {
        "gas.settle": figures.Figure(98_407, "gas", ""),
        "gas.anchor_1g_3sig_aligned": figures.Figure(73_000, "gas", ""),
        "coverage.branches": figures.Figure(98.5, "%", ""),
        "size.EventLog_bytes": figures.Figure(5_000, "bytes", ""),
    }
    text = table.render(figures.report_json([figures.Part(found, {}, [])], "c0ffee"))
    assert "| settle, steady | 98,407 | 100,000 | 86,000 |" in text
    assert "| `anchor_1g_3sig_aligned` | 73,000 |" in text
    assert "taken by a test | 98.5 % | 98 % |" in text
    assert "| EventLog | 5,000 |" in text
    assert "| claim, repeat | not measured | 80,000 | 73,000 |" in text


def test_replaced__page_in_the_tree__keeps_its_prose() -> None:
    page = (ROOT / "docs" / "contracts.md").read_text()
    once = table.replaced(page, "| a |\n")
    assert "| a |" in once
    assert table.replaced(once, "| a |\n") == once
    assert once.partition(table.END)[2] == page.partition(table.END)[2]


@pytest.mark.parametrize("page", ["", table.BEGIN, table.END + table.BEGIN, table.BEGIN * 2])
def test_replaced__markers_missing__is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="needs the lines"):
        table.replaced(page, "")
