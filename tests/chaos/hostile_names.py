"""Names and settings made to run code, to leave their folder or to exhaust memory."""

NAMES = [
    *(
        "../evil",
        "../../evil",
        "..",
        ".",
        "/tmp/evil-gymjax",
        "a/../../evil",
        "..\\evil",
        "evil\x00",
        "~/evil",
        "$(touch executed)",
    ),
    *(
        "`touch executed`",
        "; touch executed",
        "evil\n",
        "-rf",
        "--help/../evil",
        "%2e%2e%2fevil",
        "....//evil",
        "a" * 5000,
    ),
    *("CON/../../evil", "\u202egpj.evil", "members/../../evil"),
]
YAML = {
    "python object": "train: !!python/object/apply:os.system ['touch executed']\n",
    "python name": "model: !!python/name:os.system\n",
    "python module": "model: !!python/module:evil\n",
    "python tuple": "train: !!python/tuple [1, 2]\n",
    "object new": "train: !!python/object/new:os.system ['touch executed']\n",
    "target": "model: {_target_: os.system, kind: mlp}\n",
    "target at the top": "_target_: os.system\nmodel: {kind: mlp}\n",
    "partial": "model: {_partial_: true, kind: mlp}\n",
    "environment": "run: {root: '${oc.env:HOME}/evil'}\ndata: {path: '${oc.env:HOME}'}\n",
    "interpolation": "train: {epochs: '${eval:1+1}'}\n",
    "include": "train: !include /etc/passwd\n",
    "aliases": "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(
        f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}]\n"
        for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    ),
    "deep": "[" * 20_000 + "]" * 20_000 + "\n",
    "long number": f"train: {{epochs: {'9' * 100_000}}}\n",
    "many nodes": "train: {epochs: 1e400}\n",
    "sexagesimal": "train: {epochs: 190:20:30}\n",
    "merge": "a: &a {<<: *a}\n",
    "lambda": 'loss: {kind: \'lambda x: __import__("os").system("touch executed")\'}\n',
    "code": 'model: {kind: \'__import__("os").system("touch executed")\'}\n',
    "tag uri": "train: !<tag:yaml.org,2002:python/object/apply:os.system> ['touch executed']\n",
    "binary": "train: !!binary gIAB\n",
    "tab": "train:\n\tepochs: 1\n",
    "nul": "train: {epochs: 1}\x00\n",
    "huge key": "x" * 1_000_000 + ": 1\n",
}
