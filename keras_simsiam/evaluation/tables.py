"""The tables of an evaluation's results, as text."""

import os


def of_results(results):
    """The accuracies of all tasks that classify in one table, by class too, the tables of the others, and the protocols.

    Args:
        results: the content of a results.json, as `evaluate.evaluate` returns it.

    Returns:
        The text.
    """
    by_task = {name: results[name] for name in results["settings"]["task"]}
    parts = []
    classified = {}
    for name, result in by_task.items():
        if "accuracy" in result:
            classified[name] = result
        if "scaled" in result:
            classified[f"{name}_scaled"] = result["scaled"]
    if classified:
        titles = {name: result["title"] for name, result in classified.items()}
        first = next(iter(classified.values()))
        table = {
            row: {name: result["accuracy"][row] for name, result in classified.items()} for row in first["accuracy"]
        }
        parts += [
            "\n" + accuracy_table(table, titles),
            "(the interval takes samples as independent: with many frames of one object it is too narrow)\n",
            class_table(results["data"]["classes"], first["samples_per_class"], next(iter(table.values())), titles)
            + "\n",
        ]
    parts += ["\n" + aligned(result["table"]) + "\n" for result in by_task.values() if "table" in result]
    return "\n".join([*parts, *(f"{name}: {result['protocol']}" for name, result in (by_task | classified).items())])


def written(results):
    """The line that names the files of results that an evaluation has written.

    Args:
        results: as for `of_results`.
    """
    settings = results["settings"]
    files = ["results.json", *(file for name in dict.fromkeys(settings["task"]) for file in results[name]["files"])]
    return "written: " + ", ".join(os.path.join(settings["output"], file) for file in files)


def accuracy_table(rows, columns):
    """Top-1 accuracies, one row an encoder and one column a probe.

    Args:
        rows: a dict from a row's name to its summaries (`scores.summarise`), a dict with the keys of `columns`; a
            summary may hold `top1` alone.
        columns: a dict from a probe's key to its title.

    Returns:
        The table as text, in percent, with the 95 % interval where there is one.
    """
    cells = [["top-1 accuracy, % [95 % interval]", *columns.values()]]
    cells += [[name, *(_accuracy(summaries[key]) for key in columns)] for name, summaries in rows.items()]
    return aligned(cells)


def class_table(class_names, counts, summaries, columns):
    """One encoder's accuracy on each class.

    Args:
        class_names: a list of C strings.
        counts: int [C], the number of test samples of each class.
        summaries: a dict with the keys of `columns`, each of `scores.summarise`.
        columns: a dict from a probe's key to its title.

    Returns:
        The table as text, in percent; a dash where a class has no samples. Its last row is the mean over the classes.
    """
    cells = [["per-class accuracy, %", "samples", *columns.values()]]
    for index, (name, count) in enumerate(zip(class_names, counts, strict=True)):
        cells.append([name, str(count), *(_percent(summaries[key]["per_class"][index]) for key in columns)])
    means = (_percent(summaries[key]["mean_per_class"]) for key in columns)
    return aligned([*cells, ["mean over classes", str(sum(counts)), *means]])


def _accuracy(summary):
    if "interval" not in summary:
        return f"{_percent(summary['top1'])}{'':15}"
    low, high = (_percent(bound) for bound in summary["interval"])
    return f"{_percent(summary['top1'])} [{low:>5}, {high:>5}]"


def _percent(fraction):
    return "–" if fraction is None else f"{100 * fraction:.1f}"


def aligned(cells):
    """Rows of strings, the header first, as text in columns of equal width: the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = []
    for first, *others in cells:
        padded = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        lines.append("   ".join([first.ljust(widths[0]), *padded]).rstrip())
    return "\n".join(lines)
