"""Kili's GraphQL API."""
