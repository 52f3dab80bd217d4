"""Bringing bodies and furniture together: contacts that touch, on the right side, and nothing inside another."""

from mjxhuman.alignment.align import METHODS, Alignment, align, align_many
from mjxhuman.alignment.contacts import PartContact, find_contacts
from mjxhuman.alignment.measure import ContactFit
from mjxhuman.alignment.seated import seated
from mjxhuman.alignment.skin import PARTS, Skin, skin_of

__all__ = [
    "METHODS", "PARTS", "Alignment", "ContactFit", "PartContact", "Skin", "align", "align_many", "find_contacts",
    "seated", "skin_of",
]  # fmt: skip
