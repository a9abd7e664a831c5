# SPDX-License-Identifier: Apache-2.0
"""vecq template against the closed form, computed here, and the paper's table."""
import math

import vecq_cli

# lambda, J_o, mean squared error: published optimum of a uniform mid-rise Gaussian quantizer, six digits
KNOWN = {
    2: (0.995687, 0.0613020, 0.118846), 3: (0.586019, 0.0188984, 0.0374397), 4: (0.335201, 0.00578819, 0.0115429),
    5: (0.188139, 0.00174914, 0.00349521), 6: (0.104063, 0.000520158, 0.00104005),
    7: (0.056868, 0.000152178, 0.000304333), 8: (0.030762, 4.38441e-05, 8.76862e-05),
    9: (0.016499, 1.24596e-05, 2.49190e-05), 10: (0.008785, 3.49851e-06, 6.99701e-06),
    11: (0.004650, 9.72207e-07, 1.94441e-06), 12: (0.002448, 2.67768e-07, 5.35537e-07),
}
PAPER = {1: 1, 2: 0.9957, 3: 0.5860, 4: 0.3352, 5: 0.1881, 6: 0.1041, 7: 0.0569, 8: 0.0308}


def orientation(bits, step):
    """1 - A / sqrt(B), sums in exactly rounded arithmetic"""
    half = 1 << (bits - 1)
    phi = [math.exp(-0.5 * (j * step) ** 2) for j in range(1, half)]
    a = (1 + 2 * math.fsum(phi)) / math.sqrt(2 * math.pi)
    b = 0.25 + 2 * math.fsum(j * math.erfc(j * step / math.sqrt(2)) for j in range(1, half))
    return 1 - a / math.sqrt(b)


class Template(vecq_cli.Case):
    def setUp(self):
        super().setUp()
        self.rows = {row["bits"]: row for row in self.json("template", "--json")["template"]}

    def test_all_widths_by_default(self):
        self.assertEqual(sorted(self.rows), list(range(1, 17)))

    def test_known_numbers(self):
        for bits, (step, jo, mse) in KNOWN.items():
            row = self.rows[bits]
            self.assertEqual(round(row["lambda"], 6), step)
            self.assertEqual(float("%.6g" % row["orientation"]), jo)
            self.assertEqual(float("%.6g" % row["mse"]), mse)
        self.assertAlmostEqual(self.rows[1]["orientation"], 1 - math.sqrt(2 / math.pi), delta=1e-12)

    def test_closed_form(self):
        for bits, row in self.rows.items():
            jo = orientation(bits, row["lambda"])
            self.assertAlmostEqual(row["orientation"], jo, delta=1e-13 + 1e-8 * jo)
            self.assertAlmostEqual(row["table_orientation"], orientation(bits, row["table_lambda"]), delta=1e-12)
            self.assertAlmostEqual(row["angle"], math.degrees(math.acos(1 - row["orientation"])), delta=1e-4)
            self.assertAlmostEqual(row["cosine"], 1 - row["orientation"], delta=1e-15)
            if 2 <= bits <= 9:  # a minimum: both neighbours are worse
                for factor in (0.999, 1.001):
                    self.assertGreater(orientation(bits, row["lambda"] * factor), jo)

    def test_paper(self):
        for bits, row in self.rows.items():
            self.assertEqual(row["table_lambda"], PAPER.get(bits, 6 / 2 ** bits))
            if 2 <= bits <= 8:
                self.assertEqual(round(row["lambda"], 4), PAPER[bits])
        self.assertGreater(self.rows[9]["table_orientation"], 4 * self.rows[8]["table_orientation"])

    def test_table_agrees_with_json(self):
        lines = self.text("template", "-b", "4,12").splitlines()
        self.assertEqual(len(lines), 3)
        self.assertEqual(lines[0].split()[:3], ["bits", "lambda", "J_o"])
        for line in lines[1:]:
            row = self.rows[int(line.split()[0])]
            self.assertGreaterEqual(len(line.split()[1].split(".")[1]), 10)
            self.assertAlmostEqual(float(line.split()[1]), row["lambda"], delta=1e-12)
            self.assertAlmostEqual(float(line.split()[2]) / row["orientation"], 1, delta=1e-7)


if __name__ == "__main__":
    vecq_cli.main()
