# SPDX-License-Identifier: Apache-2.0
"""What tests of several rooms use: a whole Ottava, members to balance over, load."""
