"""Standing: ledgers of integer points, accuracy, reputation and governance weight, on two engines that must agree."""
