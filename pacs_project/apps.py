from django.apps import AppConfig


class ProjectConfig(AppConfig):
    """Where rooms are put together that don't know of each other."""

    name = "pacs_project"

    def ready(self) -> None:
        """What is still going on in one room keeps studies from the rules of another."""
        from pacs_project import retention_obstacles

        retention_obstacles.install()
